"""A few lines of TAP for the tests of the command."""
import sys

count = 0
failed = 0


def ok(passed, what, *details):
    """One result; details are printed below it where it failed."""
    global count, failed
    count += 1
    print(f'{"ok" if passed else "not ok"} {count} - {what}')
    if not passed:
        failed += 1
        for detail in details:
            for line in str(detail).split('\n'):
                print(f'# {line}')
    sys.stdout.flush()
    return passed


def equal(got, want, what):
    return ok(got == want, what, f'got  {got!r}', f'want {want!r}')


def skip(what, why):
    global count
    count += 1
    print(f'ok {count} - {what} # SKIP {why}')


def skip_all(why):
    print(f'1..0 # SKIP {why}')
    sys.exit(0)


def done():
    print(f'1..{count}')
    sys.exit(1 if failed else 0)
