"""A process that publishes, for tests that watch or kill it: `python publishing.py FOLDER WHAT`."""

from __future__ import annotations

import sys
import time

import numpy as np

from arrowmind.torch import channel
from arrowmind.torch.channel import Publisher


def values(generation):
    """What a generation holds: its number, everywhere."""
    return {name: np.full((50, 1000), generation, np.float32) for name in ("a.weight", "b.bias")}


def forever(publisher):
    generation = 0
    while True:
        generation = publisher.weights(values(generation + 1))
        publisher.activations(values(generation))
        print(generation, flush=True)


def hang_in_the_middle(publisher):
    """Publishes once, then stops with half of the next generation written."""
    publisher.weights(values(1))
    written = channel.write_weights

    def stop(path, tensors, documents):
        def some():
            yield tensors[0]
            print("half", flush=True)
            time.sleep(600)

        written(path, some(), documents)

    channel.write_weights = stop
    publisher.weights(values(2))


if __name__ == "__main__":
    with Publisher(sys.argv[1], ring=4) as made:
        {"forever": forever, "hang": hang_in_the_middle}[sys.argv[2]](made)
