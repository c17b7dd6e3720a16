"""Training through the quantiser. Imports torch: loaded by the method `distill` alone.

::

    latent          matrices that look quantised to the forward and real to the optimiser
    parts           names of tensors, by what training does with them
    forward         the forward of an encoder, from its description
    decoder_forward that of a decoder
    batches         pieces of texts to train an encoder on, by seed and step
    windows         windows of tokens to train a decoder on
    sampling        texts that a decoder writes itself
    objective       what training brings together
    training        steps, and going on where they were cut
"""
