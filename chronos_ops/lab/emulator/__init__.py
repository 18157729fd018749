"""The lab's AWS: ministack behind a gate, and a Lightsail that boots real lab hosts.

Runs in an environment of its own (`requirements/lab.lock`): nothing here may import the rest of
the package.
"""
