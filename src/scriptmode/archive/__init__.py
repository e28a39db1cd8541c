"""The ``.sm`` archive: programs, the values they hold and their weights in a plain zip.

::

    manifest.json         format, versions, the programs' names, values, tensors, storages
    ir/0.ir               the text of a program
    weights.safetensors   one entry per storage
    extra/NAME            files of the user's

Reading executes nothing: no pickle, no eval, no import.  This package knows files, values and
programs; what makes callables of them is in ``jit``.
"""
