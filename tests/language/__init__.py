"""The language reference as programs: one for each construct, in the order of ``docs/language.md``.

A module is a section: its docstring is the title.  Each public function (with defaults for all
parameters) or module class is a construct, described by the first line of its docstring, that must
give what eager gives.  Those of ``refused`` must be refused at a place; what follows in their
docstring says what to write instead.
"""
