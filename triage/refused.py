"""Files that are named to the agent and never handed out: what a double click would run."""

from __future__ import annotations

EXECUTABLES = frozenset(
    {
        "apk", "app", "appimage", "appx", "bat", "chm", "cmd", "com", "cpl", "deb", "dll", "dmg", "exe", "gadget", "hta", "img",
        "inf", "ins", "iso", "jar", "js", "jse", "lnk", "mde", "msc", "msi", "msix", "msp", "mst", "pif", "pkg", "ps1", "psm1",
        "reg", "rpm", "run", "scr", "sct", "sh", "sys", "url", "vb", "vbe", "vbs", "vhd", "vhdx", "vxd", "wsc", "wsf", "wsh", "xll",
        "application/java-archive", "application/vnd.android.package-archive", "application/vnd.microsoft.portable-executable",
        "application/x-dosexec", "application/x-executable", "application/x-ms-installer", "application/x-ms-shortcut",
        "application/x-msdos-program", "application/x-msdownload", "application/x-msi", "application/x-sharedlib",
        "application/x-sh", "application/hta",
    }
)  # fmt: skip
"""File name endings and content types that are refused unless the settings say otherwise."""

HEAD = 64
"""Bytes of a file that tell whether it is a program, whatever it is called."""
_PROGRAMS = (
    b"\x7fELF",  # Linux
    b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe",  # macOS
    b"L\x00\x00\x00\x01\x14\x02\x00",  # a Windows shortcut, [MS-SHLLINK] 2.1
)  # fmt: skip


def is_refused(name: str, content_type: str, head: bytes, refused: frozenset[str]) -> bool:
    """Whether a file is refused: for its name's ending or its stated type, which are lower-case words of `refused`, or
    because its first bytes are a program's, whatever its name says. Nothing is refused when `refused` is empty."""
    # Windows leaves dots and blanks at the end of a name away: "photo.exe. " is run as "photo.exe".
    ending = name.rstrip(". ").rpartition(".")[2].lower()
    return bool(refused) and (ending in refused or content_type in refused or _is_program(head))


def _is_program(head: bytes) -> bool:
    # A list of names may begin with MZ, but has no zero in it.
    return head.startswith(_PROGRAMS) or (head.startswith(b"MZ") and b"\x00" in head)
