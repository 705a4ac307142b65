from assessments.documents.kinds import HEAD, Kind

LETTER = Kind(
    slug="letter",
    key="letter",
    label="Letter",
    file_name="Letter.pdf",
    generator="tests.fifth.letter.generate",
    prints={**HEAD, "insured": "name address"},
)
