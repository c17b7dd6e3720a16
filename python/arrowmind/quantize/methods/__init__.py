"""Methods: one file each, found by :func:`arrowmind.quantize.methods.registry.method`.

::

    base        what a method is given, and what it gives back
    registry    the files of this folder that name a method
    ptq         rounding in the best range
    gptq        error feedback with the moments of real inputs
"""
