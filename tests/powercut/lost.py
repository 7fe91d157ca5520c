"""What an ext4 without a journal loses of its own in a power cut, as e2fsck tells it.

Such an ext4 keeps no order among its blocks. When a file gets a fifth run of blocks, its list of them moves out of its inode into a block of its own, and
later from that into several; fdatasync writes that block and the inode, and waits for both at the end only. Power that goes between leaves an inode that
points to a block that was never written. e2fsck then throws the list away: with it go all the file's blocks, those that were synced long ago too.
A list that was half written is the same. There is no second copy of a head, and nothing that a program can do about it: so what was acknowledged of
such a file can be gone, and the promise for it is that this is said. Its bytes are right or EIO, `dios fsck` names it and no other,
all other files keep every promise, and written anew it is as good as before.

Only what e2fsck itself says it has thrown away counts. With a journal nothing does."""
import errno
import os
import re

SENTENCES = re.compile(r'^(?:Inode (\d+),? (?:has an invalid extent|has out of order extents|has zero length extent|has corrupt extent header|'
                       r'end of extent exceeds|extent block passes checks, but checksum does not match)'
                       r'|Interior extent node level \d+ of inode (\d+)|Error while reading over extent tree in inode (\d+))', re.MULTILINE)
FOUND = re.compile(r'\binode (\d+),')
BLOCK = 4096


def lost_heads(said, data):
    """The inode numbers in dios of the heads whose blocks e2fsck has thrown away."""
    numbers = {int(next(filter(None, m.groups()))) for m in SENTENCES.finditer(said)}
    heads = set()
    for folder, _, names in os.walk(os.path.join(data, 'heads')) if numbers else ():
        heads |= {int(n, 16) for n in names if os.stat(os.path.join(folder, n)).st_ino in numbers}
    return heads


def names_only(said, heads):
    """Whether each line of what `dios fsck` has found is about one of the heads."""
    findings = [line for line in said.split('\n') if line and not re.fullmatch(r'\d+ problems?', line)]
    return bool(findings) and all((m := FOUND.search(line)) and int(m.group(1)) in heads for line in findings)


def read_what_is_left(path, heads, in_place=False):
    """A file's bytes, and the offsets of its blocks that cannot be read, which only those of the heads may have. What was being written in place has no
    checksums that would say so: of it nothing is left that can be relied upon."""
    found, gone = bytearray(), []
    fd = os.open(path, os.O_RDONLY)
    try:
        st = os.fstat(fd)
        while len(found) < st.st_size:
            at = len(found)
            try:
                piece = os.pread(fd, BLOCK if st.st_ino in heads else 1 << 20, at)
            except OSError as error:
                if error.errno != errno.EIO or st.st_ino not in heads:
                    raise
                gone.append(at)
                piece = bytes(min(BLOCK, st.st_size - at))
            if not piece:
                break
            found += piece
    finally:
        os.close(fd)
    if in_place and st.st_ino in heads:
        gone = list(range(0, st.st_size, BLOCK))
    return bytes(found), gone


def same(content, found, gone):
    """Whether found is the content, where it could be read."""
    if len(content) != len(found):
        return False
    blocks = set(gone)
    return content == found or bool(gone) and all(at in blocks or content[at:at + BLOCK] == found[at:at + BLOCK] for at in range(0, len(found), BLOCK))


def write_anew(mount, heads):
    """What a person does with a damaged file: its path from `dios fsck`, and new bytes."""
    for folder, _, names in os.walk(mount):
        for path in (os.path.join(folder, n) for n in names):
            if not os.path.islink(path) and os.stat(path).st_ino in heads:
                with open(path, 'wb') as f:
                    f.write(b'new' * 50000)
                    f.flush()
                    os.fsync(f.fileno())
