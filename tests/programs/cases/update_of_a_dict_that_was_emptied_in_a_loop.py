from typing import Dict


def f(a: Dict[bool, float]) -> int:
    count = 0
    for key in a:
        count += 1
        a.pop(key)
        a.update({False: 0.5})
    return count


ARGUMENTS = [
    lambda: ({},),
    lambda: ({False: 2.25},),
    lambda: ({True: 2.25},),
    lambda: ({True: 2.25, False: 1.0},),
]
