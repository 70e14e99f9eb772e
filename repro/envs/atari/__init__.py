"""Atari games with the paper's preprocessing: `game` plays one, `vector` plays N of them.

`single` offers one to other people's agents under Gymnasium's API. Needs ale-py and OpenCV.
"""
