"""More bytes in files than the limit allows. Bounded to 40 MB, of 8."""

from reachlab.sandbox.conformance.attacks.making import maker

_disk = maker("disk")

_FILL = """
import time
made, total = [], 0
folders = {folders}
try:
    for number in range({files}):
        for folder in list(folders):
            try:
                with open(f"{{folder}}/@mark@-{{number}}", "wb", 0) as file:
                    made.append(file.name)
                    for _ in range({chunks}):
                        total += file.write(b"x" * (1 << 20))
            except OSError as error:
                denied(f"{{folder}}: {{error.strerror}}")
                folders.remove(folder)
    time.sleep(.3)
    total >= 40 << 20 and through(f"{{total >> 20}} MB")
finally:
    for name in made:
        os.unlink(name)
"""

ATTACKS = (
    _disk("one-file", "40 MB in one file", _FILL.format(folders='["."]', files=1, chunks=40)),
    _disk("many-files", "40 MB in forty files", _FILL.format(folders='["."]', files=40, chunks=1)),
    _disk(
        "many-folders", "40 MB spread over every folder it can write to",
        _FILL.format(
            folders='[".", "/tmp", "/var/tmp", "/dev/shm", "/run", "/run/lock", "/dev", "@home@", "/"]', files=7,
            chunks=1,
        ),
    ),
    _disk("shell", "40 MB from the shell", """
yes abcdefghijklmnop | head -c 41943040 > big
sleep .3
[ "$(wc -c < big)" -ge 41943040 ] && echo THRO''UGH
rm -f big
""", language="shell"),
    _disk("reserve", "reserves 40 MB without writing", """
file = os.open("reserved", os.O_RDWR | os.O_CREAT)
os.unlink("reserved")
os.posix_fallocate(file, 0, 40 << 20)
__import__("time").sleep(.3)
through(f"{os.fstat(file).st_blocks >> 11} MB")
"""),
    _disk("nameless", "40 MB in deleted files that it holds open", """
held = []
for number in range(10):
    held.append(os.open(f"n{number}", os.O_RDWR | os.O_CREAT))
    os.unlink(f"n{number}")
    for _ in range(4):
        os.write(held[-1], b"x" * (1 << 20))
__import__("time").sleep(.3)
through("40 MB")
"""),
    _disk("sparse", "a file that claims a terabyte", """
with open("sparse", "wb") as file:
    os.unlink("sparse")
    file.truncate(1 << 40)
    through("1 TB")
"""),
    _disk("mapped", "40 MB written through a mapping", """
import mmap
with open("mapped", "w+b") as file:
    os.unlink("mapped")
    file.truncate(40 << 20)
    held = mmap.mmap(file.fileno(), 40 << 20)
    for page in range(0, 40 << 20, 4096):
        held[page] = 1
    __import__("time").sleep(.3)
    through("40 MB")
"""),
)  # fmt: skip
