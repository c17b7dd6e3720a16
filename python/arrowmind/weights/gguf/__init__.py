"""GGUF files as a source of weights, and as a form to export them in.

::

    architectures          names and settings of each family, as data
    tensor_names           GGUF names -> Hugging Face names; rows that GGUF keeps in another order
    settings               metadata -> config.json
    vocabulary, tokenizer  metadata -> tokenizer.json
    source                 all of it as a WeightSource
    grids                  blocks -> codes and scales, without going through floats, and back
    writer, encoding,
    tokenizer_export       any weights -> a GGUF file
"""
