"""Interests that people can see: topics, profiles, rules, reasons, and pictures of them."""
