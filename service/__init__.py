"""The only place where rooms are wired together: settings, command line, web app, workers, mail listener.

Nothing here decides anything about a customer; it carries messages from the network into the rooms and their results back, and
sees to it that each is in the database before anybody is told so.
"""

import os

# Before anything loads numpy or torch: two BLAS threads on two busy cores take the encoder's p95 from 5 ms to 150 ms.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")
