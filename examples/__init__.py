"""Five worked examples, each a short config and a page of what was found: social, books, music, video, shop."""
