"""`jisr drivers`: the catalog."""

import argparse
import sys

import msgspec

from drivers import catalog
from drivers.profile import Profile
from gateway import language
from gateway.language import N_, _
from provisioning.errors import NoSuchDriver

TIERS = {
    "sketch": N_("document only"),
    "bench": N_("simulator and the document's own frames"),
    "captured": N_("a real recording replays right"),
    "field": N_("30 days on site"),
}


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments of `jisr drivers`."""
    parser.add_argument(
        "name", nargs="?", default="", metavar=_("DRIVER"), help=_("only this driver, with its metrics")
    )
    parser.add_argument("--json", action="store_true", help=_("one JSON object, for tools"))
    parser.epilog = _("Example: jisr drivers draeger_medibus")


def run(arguments: argparse.Namespace) -> int:
    """List what can be read; 2 for a driver that does not exist."""
    names = [arguments.name] if arguments.name else list(catalog.DRIVERS)
    if arguments.name not in ("", *catalog.DRIVERS):
        raise NoSuchDriver(name=arguments.name, known=", ".join(catalog.DRIVERS))
    if arguments.json:
        found = {name: {key: _facts(profile) for key, profile in catalog.profiles(name).items()} for name in names}
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(found, enc_hook=str), indent=1).decode() + "\n")
        return 0
    for name in names:
        _print_driver(name, with_metrics=bool(arguments.name))
    return 0


def _facts(profile: Profile) -> dict[str, object]:
    return {
        "vendor": profile.vendor,
        "models": profile.models,
        "tier": profile.tier,
        "ports": profile.ports,
        "line": profile.line,
        "document": profile.protocol.document,
        "metrics": [
            {
                "vendor_code": metric.code,
                "metric": metric.mdc,
                "code": metric.mdc_code,
                "unit": metric.unit,
                "en": metric.label("en"),
                "fr": metric.label("fr"),
            }
            for metric in profile.metric
        ],
    }


def _print_driver(name: str, *, with_metrics: bool) -> None:
    profiles = catalog.profiles(name)
    protocol = next(iter(profiles.values())).protocol
    sys.stdout.write(f"{name}  {protocol.title}  [{', '.join(protocol.ports)}]\n")
    for key, profile in profiles.items():
        models = ", ".join(profile.models)
        sys.stdout.write(f"  {key:<14} {profile.vendor} {models}  ({profile.tier}: {_(TIERS[profile.tier])})\n")
        if with_metrics:
            for metric in profile.metric:
                label = metric.label(language.current())
                sys.stdout.write(f"    {metric.code:<14} {label:<44} {metric.unit:<12} {metric.mdc}\n")
