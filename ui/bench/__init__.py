"""Measures the product from outside, and the one file that every benchmark writes its section into."""
