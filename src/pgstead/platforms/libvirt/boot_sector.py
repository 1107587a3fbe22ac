"""A guest in 512 bytes that does what any operating system's kernel does first.

It enters 64-bit mode with paging on, works for a moment, takes an interrupt of the timer, and
writes a text to the serial port. A host whose KVM cannot really run guests gets through parts
of this at best, or interprets it some hundred times slower than a processor would.
"""

from __future__ import annotations

import struct

SAYS = "pgstead runs"
"""What it writes, and a line break."""

WORK = 0x8000000
"""Rounds of the loop: 0.1 s on a processor, 1 s emulated, minutes interpreted."""

DISK_BYTES = 1024 * 1024
"""As large as a disk: a BIOS passes over one of a single sector."""

# Loaded at 0x7c00. Page tables lie at 0x1000 to 0x3fff, interrupt gates at 0x4000.
_REAL_MODE = (
    "fa fc"  # cli; cld
    "31c0 8ed8 8ec0 8ed0"  # xor ax, ax; mov ds, ax; mov es, ax; mov ss, ax
    "bc007c"  # mov sp, 0x7c00
    "bf0010 b90020 f3ab"  # mov di, 0x1000; mov cx, 0x2000; rep stosw: zero up to 0x5000
    "c70600100320"  # mov word [0x1000], 0x2003: the one table of the third level
    "c70600200330"  # mov word [0x2000], 0x3003: the one of the second
    "c70600308300"  # mov word [0x3000], 0x83: one page of 2 MiB, at 0, writable
    "66bf00100000 0f22df"  # mov edi, 0x1000; mov cr3, edi
    "0f20e0 0c20 0f22e0"  # mov eax, cr4; or al, 0x20 (PAE); mov cr4, eax
    "66b9800000c0 0f32"  # mov ecx, 0xc0000080 (EFER); rdmsr
    "80cc01 0f30"  # or ah, 1 (LME); wrmsr
    "0f0116bf7c"  # lgdt [0x7cbf]
    "0f20c0 660d01000080 0f22c0"  # mov eax, cr0; or eax, 0x80000001 (PG, PE); mov cr0, eax
    "ea5b7c0800"  # jmp 0x8:0x7c5b
)
_LONG_MODE = (  # at 0x7c5b
    "c7042580400000867c0800"  # mov dword [0x4080], 0x00087c86: gate 8, the timer's at boot
    "c7042584400000008e0000"  # mov dword [0x4084], 0x8e00: goes to 0x8:0x7c86
    "0f011c25b57c0000"  # lidt [0x7cb5]
    "b9{work}"  # mov ecx, WORK
    "ffc9 75fc"  # work: dec ecx; jnz work
    "fb f4 ebfd"  # sti; wait: hlt; jmp wait
)
_TIMER = (  # at 0x7c86
    "bed57c0000 b9{words}"  # mov esi, 0x7cd5 (the text); mov ecx, its length in words
    "48ad 4889c3"  # load: lodsq; mov rbx, rax: eight characters at once
    "66bd0800"  # mov bp, 8
    "66bafd03"  # next: mov dx, 0x3fd (line status)
    "ec a820 74fb"  # ready: in al, dx; test al, 0x20; jz ready
    "b2f8 88d8 ee"  # mov dl, 0xf8 (data); mov al, bl; out dx, al
    "48c1eb08"  # shr rbx, 8
    "66ffcd 75e9"  # dec bp; jnz next
    "e2de"  # loop load
    "f4 ebfd"  # end: hlt; jmp end, with interrupts off: it takes no more time
)
_TABLES = (
    "8f00 0040000000000000"  # 0x7cb5, for lidt: 9 gates at 0x4000
    "0f00 c57c0000"  # 0x7cbf, for lgdt: 2 descriptors at 0x7cc5
    "0000000000000000 00000000009a2000"  # 0x7cc5: none; 64-bit code
)


def boot_sector(work: int = WORK, says: str = SAYS) -> bytes:
    """The disk that a BIOS starts it from.

    `work` is how many rounds its loop has, 1 or more; `says` has 290 characters at most.
    """
    text = f"{says}\r\n".encode()
    words = -(-len(text) // 8)  # of eight bytes each
    filled = {"work": struct.pack("<I", work).hex(), "words": struct.pack("<I", words).hex()}
    program = (_REAL_MODE + _LONG_MODE + _TIMER + _TABLES).format(**filled)
    code = bytes.fromhex(program)
    return ((code + text).ljust(510, b"\x00") + b"\x55\xaa").ljust(DISK_BYTES, b"\x00")
