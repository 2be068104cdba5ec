"""Whole numbers in few bytes: zigzag varints for what repeats itself, Rice codes for what scatters.

zigzag   0, -1, 1, -2, 2 … becomes 0, 1, 2, 3, 4 …
varint   seven bits a byte, low ones first, the top bit set on all but the last byte
Rice     for each 64 numbers of a column six bits for k; then for each number z the quotient z >> k as ones and a
         zero, and the k low bits of z; where that would be sixteen ones or more, instead: sixteen ones, six bits for
         n, and z in n + 1 bits
"""

from collections.abc import Sequence
from functools import cache
from operator import sub

from gateway.uplink.envelope import Malformed

_VARINT_BYTES = 10
_RUN = 64
"""Numbers with the same k: a curve is not equally steep everywhere."""
_LONGEST = 16
"""Ones of a quotient; more of them are an escape."""
_ESCAPE = "1" * _LONGEST
_TABLED = 6
"""Above this k a table would be larger than what it saves."""
_MOST_K = 63
_FAR = 30
"""What an escape is taken to cost, in ones."""


def zigzag(numbers: Sequence[int]) -> list[int]:
    """Signed numbers as natural ones, small ones first."""
    return [number + number if number >= 0 else -1 - number - number for number in numbers]


def pack(numbers: Sequence[int]) -> bytes:
    """Zigzag varints, one behind the other."""
    out = bytearray()
    for number in zigzag(numbers):
        left = number
        while left > 127:
            out.append(left & 127 | 128)
            left >>= 7
        out.append(left)
    return bytes(out)


class Numbers:
    """Reads zigzag varints one after the other. Every method raises `Malformed` where they end too early."""

    def __init__(self, packed: bytes) -> None:
        self._packed, self._at = packed, 0

    def take(self, count: int) -> list[int]:
        """The next `count` numbers."""
        packed, at = self._packed, self._at
        if len(packed) - at < count:
            raise Malformed("columns")
        found: list[int] = []
        number = shift = 0
        while len(found) < count:
            if at >= len(packed) or shift >= 7 * _VARINT_BYTES:
                raise Malformed("columns")
            byte = packed[at]
            at += 1
            number |= (byte & 127) << shift
            if byte > 127:
                shift += 7
            else:
                found.append(number >> 1 ^ -(number & 1))
                number = shift = 0
        self._at = at
        return found

    def one(self) -> int:
        """The next number."""
        return self.take(1)[0]

    def size(self, limit: int) -> int:
        """The next number as a count or an index: 0 to `limit`."""
        found = self.one()
        if not 0 <= found <= limit:
            raise Malformed("columns")
        return found

    def below(self, count: int, limit: int) -> list[int]:
        """The next `count` numbers as indexes, each 0 to `limit` - 1."""
        found = self.take(count)
        if found and not 0 <= min(found) <= max(found) < limit:
            raise Malformed("columns")
        return found

    def end(self) -> None:
        """There must be nothing left."""
        if self._at != len(self._packed):
            raise Malformed("columns")


class Scatter:
    """Writes columns of bits one behind the other."""

    def __init__(self) -> None:
        self._parts: list[str] = []

    def add(self, numbers: Sequence[int]) -> None:
        """One column; an empty one takes no room."""
        naturals = zigzag(numbers)
        for at in range(0, len(naturals), _RUN):
            self._add_run(naturals[at : at + _RUN])

    def _add_run(self, naturals: list[int]) -> None:
        k = _best_k(naturals)
        top = _LONGEST << k
        self._parts.append(f"{k:06b}")
        if k <= _TABLED:
            table = _table(k)
            if max(naturals) < top:
                self._parts += [table[z] for z in naturals]
            else:
                self._parts += [table[z] if z < top else _escaped(z) for z in naturals]
        else:
            self._parts += [_code(z, k) if z < top else _escaped(z) for z in naturals]

    def packed(self) -> bytes:
        """All columns, filled up with zeros to whole bytes."""
        bits = "".join(self._parts)
        size = (len(bits) + 7) // 8
        return int(bits.ljust(8 * size, "0") or "0", 2).to_bytes(size, "big")


class Scattered:
    """Reads columns of bits one after the other. Every method raises `Malformed` where they end too early."""

    def __init__(self, packed: bytes) -> None:
        self._bits = f"{int.from_bytes(packed, 'big'):0{8 * len(packed)}b}" if packed else ""
        self._at = 0

    def take(self, count: int) -> list[int]:
        """The next column, of `count` numbers."""
        found: list[int] = []
        if len(self._bits) - self._at < count:
            raise Malformed("columns")
        while len(found) < count:
            found += self._take_run(min(count - len(found), _RUN))
        return found

    def _take_run(self, count: int) -> list[int]:
        bits, at, found = self._bits, self._at, list[int]()
        try:
            k = int(bits[at : at + 6], 2)
            at += 6
            for _ in range(count):
                zero = bits.index("0", at, at + _LONGEST + 1) if bits[at : at + _LONGEST] != _ESCAPE else -1
                if zero < 0:
                    at += _LONGEST + 6
                    size = int(bits[at - 6 : at], 2) + 1
                    z = int(bits[at : at + size], 2)
                    at += size
                elif k:
                    z = zero - at << k | int(bits[zero + 1 : zero + 1 + k], 2)
                    at = zero + 1 + k
                else:
                    z = zero - at
                    at = zero + 1
                found.append(z >> 1 ^ -(z & 1))
        except ValueError as error:
            raise Malformed("columns") from error
        if at > len(bits):
            raise Malformed("columns")
        self._at = at
        return found

    def end(self) -> None:
        """Nothing may be left but the zeros that fill the last byte."""
        rest = self._bits[self._at :]
        if len(rest) > 7 or "1" in rest:
            raise Malformed("columns")


def differences(numbers: Sequence[int], order: int = 1) -> list[int]:
    """The numbers' differences, `order` times over; the first of each round stands in front."""
    left = list(numbers)
    for turn in range(min(order, len(left))):
        left[turn + 1 :] = map(sub, left[turn + 1 :], left[turn:-1])
    return left


def sums(left: list[int], order: int = 1) -> list[int]:
    """What `differences` was made of."""
    numbers = list(left)
    for turn in reversed(range(min(order, len(numbers)))):
        total = numbers[turn]
        for at in range(turn + 1, len(numbers)):
            total += numbers[at]
            numbers[at] = total
    return numbers


def _best_k(naturals: Sequence[int]) -> int:
    """Of the two k around the usual size the one that makes the column shorter."""
    guess = min(sorted(naturals)[len(naturals) // 2].bit_length(), _MOST_K)
    lower = max(0, guess - 1)
    return lower if _bits(naturals, lower) <= _bits(naturals, guess) else guess


def _bits(naturals: Sequence[int], k: int) -> int:
    """About how many bits a column takes with this k, without what every k takes."""
    ones = [z >> k for z in naturals]
    if max(ones) > _FAR:
        ones = [min(one, _FAR) for one in ones]
    return len(naturals) * k + sum(ones)


@cache
def _table(k: int) -> list[str]:
    return [_code(z, k) for z in range(_LONGEST << k)]


def _code(z: int, k: int) -> str:
    low = f"{z & (1 << k) - 1:0{k}b}" if k else ""
    return "1" * (z >> k) + "0" + low


def _escaped(z: int) -> str:
    size = max(1, z.bit_length())
    return f"{_ESCAPE}{size - 1:06b}{z:0{size}b}"
