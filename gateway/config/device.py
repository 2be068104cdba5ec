"""`[[device]]`: driver, profile, port, line settings and options together, and what two devices may not share."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from drivers import catalog
from drivers.curves import BadCurves
from drivers.profile import Profile
from gateway.config.check import Checker, right_for
from gateway.config.file import FileProblem, read_text
from gateway.config.keys import DeviceConfig, Line
from gateway.config.places import Path as Place
from gateway.config.port import PortAddress, are_one_port, parse_line, parse_port, refuse_swapping
from gateway.config.problem import BadValue, Problem, listed, nearest_of, say, shown
from gateway.language import N_

if TYPE_CHECKING:
    from drivers.registers import MapProblem

ONE_BRACKET = N_("[device] with one pair of brackets is one table, and devices are a list")
TWO_BRACKETS = N_("[[device]], once for each device")
NOT_A_DEVICE = N_("element {number} of device is not a table")
SAME_NAME = N_("the name {name} is taken by the device of line {line}")
OWN_NAME = N_("a name of its own for each device")
SAME_PORT = N_("port {port} is used by the device {other} of line {line} already")
OWN_PORT = N_("a port of its own for each device; over modbus-tcp two devices may differ by the option unit")
UNKNOWN_DRIVER = N_("there is no driver {name}")
DRIVERS = N_("one of {known}; jisr drivers lists them")
UNKNOWN_PROFILE = N_("driver {driver} has no profile {name}")
CHOOSE_PROFILE = N_("driver {driver} has several profiles, and {where} names none")
PROFILES = N_("one of {known}; jisr drivers {driver} lists them")
A_SKETCH = N_(
    "profile {profile} of driver {driver} is a sketch: it was written from a document or another program only, and "
    "has never been seen with a device"
)
ACCEPT_SKETCH = N_(
    "a profile of another tier (jisr drivers {driver} lists them), or accept_sketch = true in {where}, once a person "
    "has decided to try it and to compare its values with what the device itself shows"
)
BROKEN_DRIVER = N_("driver {driver} is not usable in this installation: {detail}")
INSTALL_AGAIN = N_("an installation that is whole: install Jisr again")
NO_OWN_MAP = N_("profile {name} is a file, and driver {driver} takes none")
OWN_MAP_DRIVER = N_(
    'a profile that jisr drivers {driver} lists; a Modbus map of your own goes with driver = "registers"'
)
BAD_MAP = N_("profile {name} cannot be used: {detail}")
A_MAP = N_("a Modbus map as docs/configuration describes it")
WRONG_KIND = N_("port {port}: profile {profile} of driver {driver} is not reached this way")
KINDS = N_("a port of kind {kinds}")
NO_LINE = N_('missing key "line" in {where}: the profile {profile} has no line settings of its own')
USELESS_LINE = N_("line = {line}: a network port has no line settings")
NO_LINE_THERE = N_("no key line here; they are set on the converter itself")
BAD_OPTIONS = N_("the options of {where} do not go together: {detail}")
BAD_CURVES = N_("curves of {where}: {detail}")
OPTIONS_PAGE = N_("what the page of the driver {driver} says of its options")

MODBUS_KINDS = ("modbus-tcp", "modbus-rtu", "modbus-ascii")
BROKEN = (ImportError, AttributeError, OSError, LookupError, ValueError, TypeError, msgspec.MsgspecError)
"""What a driver that is half installed can raise while it is loaded."""


class Known(Struct):
    """A device that was read already, for those after it."""

    name: str
    line: int
    address: PortAddress | None = None
    unit: object = None


def is_file_name(profile: str) -> bool:
    """True for a map of the user's own, False for a name of the catalog."""
    return "/" in profile or profile.endswith(".toml")


def profile_of(device: DeviceConfig) -> Profile:
    """The profile of a device of a loaded configuration."""
    if is_file_name(device.profile):
        return catalog.load_map(Path(device.profile))
    return catalog.profile(device.driver, device.profile)


def check_own_map(text: str) -> "list[MapProblem]":
    """Mistakes of a Modbus map. The driver is loaded only now: a box without Modbus does without it."""
    from drivers.registers import check_map  # noqa: PLC0415

    return check_map(text)


class DeviceCheck:
    """All devices of one file, in their order."""

    def __init__(self, checker: Checker, folder: Path) -> None:
        self._checker, self._folder = checker, folder
        self._known: list[Known] = []

    def check(self, raw: object) -> None:
        """The value of `device`."""
        if not isinstance(raw, list):
            self._checker.add(("device",), say(ONE_BRACKET), say(TWO_BRACKETS))
            return
        for index, table in enumerate(raw):
            if isinstance(table, dict):
                self._device(index, table)
            else:
                self._checker.add(("device", index), say(NOT_A_DEVICE, number=index + 1), say(TWO_BRACKETS))

    def _device(self, index: int, raw: Mapping[str, Any]) -> None:
        path: Place = ("device", index)
        name = raw.get("name")
        where = f"[[device]] {shown(name) if isinstance(name, str) else f'#{index + 1}'}"
        good = self._checker.table(raw, DeviceConfig, path, where)
        this = Known(good.get("name", where), self._checker.places.line(path))
        if "name" in good:
            self._own_name(path, this)
        address = self._port(path, good)
        profile = self._profile(path, raw, good, where)
        if address:
            self._line(path, raw, good, address, profile, where)
        if profile:
            self._sketch(path, raw, good, profile, where)
            if address:
                self._kind(path, good["port"], address, profile)
            this.unit = self._options(path, good, profile, where)
        if address:
            this.address = address
            self._own_port(path, good["port"], this)
        self._known.append(this)

    def _own_name(self, path: Place, this: Known) -> None:
        for other in self._known:
            if other.name == this.name:
                found = say(SAME_NAME, name=shown(this.name), line=other.line)
                self._checker.add((*path, "name"), found, say(OWN_NAME))
                return

    def _own_port(self, path: Place, port: str, this: Known) -> None:
        for other in self._known:
            if this.address is None or other.address is None or not are_one_port(this.address, other.address):
                continue
            if this.address.kind == "modbus-tcp" == other.address.kind and this.unit != other.unit:
                continue
            found = say(SAME_PORT, port=shown(port), other=shown(other.name), line=other.line)
            self._checker.add((*path, "port"), found, say(OWN_PORT))
            return

    def _port(self, path: Place, good: Mapping[str, Any]) -> PortAddress | None:
        if "port" not in good:
            return None
        try:
            address = parse_port(good["port"])
            refuse_swapping(good["port"], address)
        except BadValue as bad:
            self._checker.refuse((*path, "port"), bad)
            return None
        return address

    def _kind(self, path: Place, port: str, address: PortAddress, profile: Profile) -> None:
        if address.family in profile.ports:
            return
        kinds = [kind for each in profile.ports for kind in (MODBUS_KINDS if each == "modbus" else (each,))]
        found = say(WRONG_KIND, port=shown(port), profile=profile.name, driver=profile.driver)
        self._checker.add((*path, "port"), found, say(KINDS, kinds=listed(kinds)))

    def _line(
        self,
        path: Place,
        raw: Mapping[str, Any],
        good: Mapping[str, Any],
        address: PortAddress,
        profile: Profile | None,
        where: str,
    ) -> None:
        if not address.needs_line:
            if "line" in good:
                self._checker.add((*path, "line"), say(USELESS_LINE, line=shown(good["line"])), say(NO_LINE_THERE))
        elif "line" in good:
            try:
                parse_line(good["line"])
            except BadValue as bad:
                self._checker.refuse((*path, "line"), bad)
        elif profile and not profile.line and "line" not in {*raw, *self._checker.misspelt_in(path)}:
            found = say(NO_LINE, where=where, profile=profile.name)
            self._checker.add(path, found, right_for(Line))

    def _profile(self, path: Place, raw: Mapping[str, Any], good: Mapping[str, Any], where: str) -> Profile | None:
        driver = good.get("driver")
        if driver is None:
            return None
        if driver not in catalog.DRIVERS:
            right = say(DRIVERS, known=listed(catalog.DRIVERS))
            nearest = nearest_of(driver, catalog.DRIVERS)
            self._checker.add((*path, "driver"), say(UNKNOWN_DRIVER, name=shown(driver)), right, nearest)
            return None
        if "profile" not in good and "profile" in {*raw, *self._checker.misspelt_in(path)}:
            return None
        name = good.get("profile", "")
        if is_file_name(name):
            return self._own_map(path, driver, name)
        try:
            return catalog.profile(driver, name)
        except catalog.UnknownName as unknown:
            self._no_profile(path, driver, name, unknown.known, where)
        except BROKEN as error:
            self._broken(path, driver, error)
        return None

    def _sketch(
        self, path: Place, raw: Mapping[str, Any], good: Mapping[str, Any], profile: Profile, where: str
    ) -> None:
        """A sketch is used only where a person has said so."""
        is_told = "accept_sketch" not in good and "accept_sketch" in {*raw, *self._checker.misspelt_in(path)}
        if profile.tier != "sketch" or good.get("accept_sketch") or is_told:
            return
        found = say(A_SKETCH, profile=profile.name, driver=profile.driver)
        right = say(ACCEPT_SKETCH, driver=profile.driver, where=where)
        self._checker.add((*path, "profile" if "profile" in raw else "driver"), found, right)

    def _no_profile(self, path: Place, driver: str, name: str, known: tuple[str, ...], where: str) -> None:
        right = say(PROFILES, known=listed(known), driver=driver)
        if name:
            found = say(UNKNOWN_PROFILE, driver=driver, name=shown(name))
        else:
            found = say(CHOOSE_PROFILE, driver=driver, where=where)
        self._checker.add((*path, "profile"), found, right, nearest_of(name, known))

    def _broken(self, path: Place, driver: str, error: Exception) -> None:
        found = say(BROKEN_DRIVER, driver=driver, detail=f"{type(error).__name__}: {error}")
        self._checker.add((*path, "driver"), found, say(INSTALL_AGAIN))

    def _own_map(self, path: Place, driver: str, name: str) -> Profile | None:
        if driver != "registers":
            found = say(NO_OWN_MAP, name=shown(name), driver=driver)
            self._checker.add((*path, "profile"), found, say(OWN_MAP_DRIVER, driver=driver))
            return None
        file = self._folder / name
        try:
            text = read_text(file, "profile = ", self._folder)
        except FileProblem as bad:
            self._checker.refuse((*path, "profile"), bad)
            return None
        try:
            problems = check_own_map(text)
            for each in problems:
                found = say(each.template, **each.facts) if each.template else say(each.found)
                told = Problem.of(str(file), each.line, found, say(each.expected), each.nearest)
                self._checker.problems.append(told)
            return None if problems else catalog.load_map(file)
        except BROKEN as error:
            detail = f"{type(error).__name__}: {error}"
            self._checker.add((*path, "profile"), say(BAD_MAP, name=shown(name), detail=detail), say(A_MAP))
            return None

    def _options(self, path: Place, good: Mapping[str, Any], profile: Profile, where: str) -> object:
        """Check the options; returns the Modbus unit if there is one."""
        try:
            kind = catalog.driver_class(profile.driver).Options
        except BROKEN as error:
            self._broken(path, profile.driver, error)
            return None
        own, here = good.get("options", {}), (*path, "options")
        before = len(self._checker.problems)
        self._checker.table(own, kind, here, f"{where} options", given=profile.options)
        if len(self._checker.problems) > before:
            return own.get("unit")
        try:
            options = msgspec.convert({**profile.options, **own}, kind)
        except msgspec.ValidationError as error:
            self._unfit(here, where, profile.driver, error)
            return None
        return getattr(options, "unit", None)

    def _unfit(self, here: Place, where: str, driver: str, error: msgspec.ValidationError) -> None:
        """Each option can be read, and yet the driver takes them not."""
        right, cause = say(OPTIONS_PAGE, driver=driver), error.__cause__
        if isinstance(cause, BadCurves):
            found = say(BAD_CURVES, where=where, detail=say(cause.template, **cause.facts))
            self._checker.add((*here, "curves"), found, right, nearest_of(cause.facts.get("code"), cause.known))
            return
        self._checker.add(here, say(BAD_OPTIONS, where=where, detail=str(error)), right)
