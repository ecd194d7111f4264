"""Small PDF files, written by hand."""

from __future__ import annotations

from collections.abc import Sequence


def pdf_of(pages: Sequence[str], *, title: str = "", outline: Sequence[tuple[str, int]] = ()) -> bytes:
    """A PDF with the lines of each page's text; `outline` names headings with the page (from 0) that they are on."""
    objects: list[str] = ["", "", "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    kids = []
    for text in pages:
        lines = "".join(f"({line}) Tj 0 -14 Td\n" for line in text.split("\n") if line)
        stream = f"BT /F1 12 Tf 72 720 Td\n{lines}ET"
        objects.append(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {len(objects)} 0 R "
            "/Resources << /Font << /F1 3 0 R >> >> >>"
        )
        kids.append(f"{len(objects)} 0 R")
    objects[1] = f"<< /Type /Pages /Kids [{' '.join(kids)}] /Count {len(kids)} >>"
    objects[0] = "<< /Type /Catalog /Pages 2 0 R >>"
    if outline:
        root = len(objects) + 1
        for n, (name, page) in enumerate(outline):
            around = f"/Prev {root + n} 0 R " * (n > 0) + f"/Next {root + n + 2} 0 R " * (n + 1 < len(outline))
            if n == 0:
                objects.append(
                    f"<< /Type /Outlines /First {root + 1} 0 R /Last {root + len(outline)} 0 R /Count {len(outline)} >>"
                )
            objects.append(f"<< /Title ({name}) /Parent {root} 0 R {around}/Dest [{kids[page]} /Fit] >>")
        objects[0] = f"<< /Type /Catalog /Pages 2 0 R /Outlines {root} 0 R >>"
    objects.append(f"<< /Title ({title}) /ModDate (D:20260305120000Z) >>" if title else "<< >>")
    body, places = "%PDF-1.4\n", []
    for number, text in enumerate(objects, 1):
        places.append(len(body))
        body += f"{number} 0 obj\n{text}\nendobj\n"
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    count = len(objects) + 1
    trailer = f"trailer << /Size {count} /Root 1 0 R /Info {len(objects)} 0 R >>\nstartxref\n{len(body)}\n%%EOF\n"
    return f"{body}xref\n0 {count}\n0000000000 65535 f \n{table}{trailer}".encode("latin-1")
