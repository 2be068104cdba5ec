"""Every request the driver can make: three kinds of physiological data, waveforms, alarms; start and stop.

Datex-Ohmeda Record Interface specification (8005313), sections on the transmission requests. Nothing here writes.
"""

import struct

from drivers.ge_dri.frames import END_OF_LIST, Part, Record, framed

PHYSIOLOGICAL, WAVES, ALARMS = 0, 1, 4
"""Main types."""
DISPLAYED, TREND_10S, TREND_60S = 1, 2, 3
TREND_INTERVALS_S = {TREND_10S: 10, TREND_60S: 60}
STOP_S = 0
BASIC_CLASS = 0
"""Class bits: the basic class only. 2, 4 and 8 add the extended ones, of which no layout is known here."""
ALARM_STATUS = 0
"""2 and 3 would enter and leave a mode in which changes come by themselves: it is not used."""
MOST_WAVES = 8
_PHYSIOLOGICAL = struct.Struct("<BhIh")
_WAVES = struct.Struct("<hh8s20x")
_ALARMS = struct.Struct("<h10x")
REQUEST = 0
"""Type of a subrecord that asks."""


def _request(main: int, data: bytes) -> bytes:
    return framed(Record(main, (Part(REQUEST, data),)).to_bytes())


def physiological(kind: int, interval_s: int) -> bytes:
    """Displayed values or a trend each so many seconds; 0 stops them."""
    return _request(PHYSIOLOGICAL, _PHYSIOLOGICAL.pack(kind, interval_s, BASIC_CLASS, 0))


def waves(types: tuple[int, ...], *, stop: bool = False) -> bytes:
    """The waveforms of these types, all in one request: FF ends the list where there are less than eight."""
    listed = bytes(types) if len(types) == MOST_WAVES else bytes((*types, END_OF_LIST))
    return _request(WAVES, _WAVES.pack(int(stop), 0, listed))


def alarms() -> bytes:
    """Which alarms are shown now."""
    return _request(ALARMS, _ALARMS.pack(ALARM_STATUS))
