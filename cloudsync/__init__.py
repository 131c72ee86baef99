"""The centre: enrolment, site documents, records, recordings, and what the NOC sees."""
