"""`make bench`: every benchmark, one after the other."""

from tests.bench import mail, turns

mail.main()
turns.main()
