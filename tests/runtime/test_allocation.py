"""The threads' caches of small blocks."""

import threading

import scriptmode


def words(n: int) -> int:
    found: dict[str, list[str]] = {}
    for i in range(n):
        key = str(i % 97)
        if key not in found:
            found[key] = []
        found[key].append(str(i) * (i % 9))
    return len(found) + len("".join(found["3"]))


def test_threads_that_come_and_go_share_the_library():
    scripted = scriptmode.script(words)
    want = words(5000)
    for _ in range(5):
        results: list[int] = []
        threads = [
            threading.Thread(target=lambda: results.append(scripted(5000))) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert results == [want] * 4


def resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


def test_calls_do_not_grow_the_process():
    scripted = scriptmode.script(words)
    for _ in range(20):
        scripted(2000)
    before = resident()
    for _ in range(200):
        scripted(2000)
    assert resident() - before < 1 << 20


def test_ending_threads_free_what_they_kept():
    scripted = scriptmode.script(words)

    def run() -> None:
        thread = threading.Thread(target=scripted, args=(2000,))
        thread.start()
        thread.join()

    for _ in range(20):
        run()
    before = resident()
    for _ in range(100):
        run()
    assert resident() - before < 4 << 20
