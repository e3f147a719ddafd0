"""What the prices must be."""

import unittest

from inventory.pricing import line_total, order_total


class LineTotal(unittest.TestCase):
    def test_a_few_pieces_cost_the_full_price(self) -> None:
        self.assertEqual(line_total(250, 4), 1000)

    def test_the_discount_starts_at_ten_pieces(self) -> None:
        self.assertEqual(line_total(250, 10), 2125)

    def test_more_than_ten(self) -> None:
        self.assertEqual(line_total(199, 11), 1861)

    def test_negative_counts_are_refused(self) -> None:
        with self.assertRaises(ValueError):
            line_total(250, -1)


class OrderTotal(unittest.TestCase):
    def test_lines_add_up(self) -> None:
        self.assertEqual(order_total([(250, 4), (100, 20)]), 2700)


if __name__ == "__main__":
    unittest.main()
