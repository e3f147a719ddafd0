"""Line totals and the quantity discount."""

DISCOUNT_FROM = 10  # pieces
DISCOUNT_PERCENT = 10


def line_total(unit_cents: int, pieces: int) -> int:
    """Price of one line; ten or more pieces are 10 per cent cheaper, rounded to whole cents."""
    if pieces < 0:
        raise ValueError("pieces must not be negative")
    total = unit_cents * pieces
    if pieces > DISCOUNT_FROM:
        total = round(total * (100 - DISCOUNT_PERCENT) / 100)
    return total


def order_total(lines: list[tuple[int, int]]) -> int:
    """Sum over lines of (unit price in cents, pieces)."""
    return sum(line_total(unit_cents, pieces) for unit_cents, pieces in lines)
