"""Training through the quantiser. Imports torch: loaded by the method `distill` alone.

::

    latent      matrices that look quantised to the forward and real to the optimiser
    forward     the forward of a model, from its description
    batches     token ids to train on, by seed and step
    training    steps, losses, schedule
"""
