"""CRC-32C (Castagnoli), which Python's library doesn't have.

A checksum is the remainder of a polynomial, whose coefficients are the bits of the text. Most of it is divided by a multiple of
the checksum's polynomial that has six terms only: a few operations on integers as long as the text. What is left, at most 80
bytes, goes through two tables of 65,536 entries, four bytes at a time.
"""

import sys
from functools import lru_cache

_POLYNOMIAL = 0x82F63B78
# x^563 + x^109 + x^58 + x^53 + x^31 + 1 is a multiple of it; and so is each square: there, exponents are twice as large.
_DEGREE = 563
_EXPONENTS = (109, 58, 53, 31, 0)
# Whoever is shorter goes through the tables.
_SHORT = 150


@lru_cache(maxsize=None)
def _tables():
    """What a byte does to the checksum, and what the lower and the upper half of four bytes do."""
    byte = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (_POLYNOMIAL if value & 1 else 0)
        byte.append(value)

    def shifted(value):
        return byte[value & 0xFF] ^ (value >> 8)

    high = [shifted(shifted(value)) for value in range(1 << 16)]
    low = [shifted(shifted(value)) for value in high]
    return byte, low, high


@lru_cache(maxsize=None)
def _step(level):
    """The degree of a multiple, how many bits it takes off at once, and how far it shifts them.

    The lowest bit is the highest coefficient: bits go upwards.
    """
    scale = 1 << level
    most = (_DEGREE - _EXPONENTS[0]) * scale & ~7
    return _DEGREE * scale, most, [(_DEGREE - exponent) * scale for exponent in _EXPONENTS]


def _folded(data):
    """A few bytes with the remainder of all of them."""
    length = len(data) * 8
    text = int.from_bytes(data, "little") ^ 0xFFFFFFFF
    for level in reversed(range((length // _DEGREE).bit_length())):
        degree, most, shifts = _step(level)
        while length >= degree + 64:
            taken = min(most, (length - degree) & ~7)
            bits = text & ((1 << taken) - 1)
            text >>= taken
            for shift in shifts:
                text ^= bits << (shift - taken)
            length -= taken
    return text.to_bytes(length // 8, "little")


def crc32c(data):
    """The checksum of some bytes."""
    byte, low, high = _tables()
    crc = 0xFFFFFFFF
    if len(data) > _SHORT:
        data, crc = _folded(data), 0
    # The words of a view are those of the machine: the checksum takes the lowest byte first.
    whole = len(data) & ~3 if sys.byteorder == "little" else 0
    for word in memoryview(data)[:whole].cast("I"):
        word ^= crc
        crc = low[word & 0xFFFF] ^ high[word >> 16]
    for value in data[whole:]:
        crc = byte[(crc ^ value) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def checksum(data):
    """The same, as it is written."""
    return b"%08x" % crc32c(data)
