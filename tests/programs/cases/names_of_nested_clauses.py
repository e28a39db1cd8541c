from typing import List


def f(a: List[int]) -> int:
    try:
        a[0] //= a[1]
    except Exception as error:
        try:
            if a[0] > 1:
                return a[a[2]]
        except (KeyError, IndexError):
            print(type(error).__name__)
        except ValueError as error:
            print(error)
        finally:
            print("x")
        if len(a) < 4:
            print(str(error))
    finally:
        print("y")
    return 3


ARGUMENTS = [
    lambda: ([1, 0, 2],),
    lambda: ([2, 0, 2],),
    lambda: ([2, 0, 9],),
    lambda: ([1, 1, 1],),
    lambda: ([],),
]
