"""What holds for every test."""

import signal

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell without job control starts what runs in its background with SIGINT ignored,
    # and children inherit that: a test that interrupts a program would wait for ever.
    signal.signal(signal.SIGINT, signal.default_int_handler)
