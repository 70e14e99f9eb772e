"""`atari`: Tables 2 and 6 and the learning curves of section 6.4."""
