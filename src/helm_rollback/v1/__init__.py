"""Messages and stubs of `helm_rollback.v1`, generated from `protos/` by `tools/proto.py`.

Never edited by hand; the protos' comments are the reference manual.
"""
