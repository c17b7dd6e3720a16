"""One matrix onto a grid: rounding, scales that can be stored, error feedback, refinement.

::

    rounding    nearest level of a grid
    storage     scales and zero points rounded to what the file can hold
    ranges      scales and zero points for groups of columns, by search
    codes       what the file holds of it
    hessian     the moments of a matrix's inputs, damped and factored
    feedback    columns one after the other, each error handed to those that follow
    bound       int8 codes that stay together within what 16 bits can sum
    refine      better scales for given codes, better codes for given scales
"""
