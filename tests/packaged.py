"""What a device's packaged file holds in the tests of the configuration; `{state}` is its folder."""

PACKAGED = """
[sip]
registrar = "sip.example.com"
username = "demo"
[paths]
state = "{state}"
[device]
mobility = "movable"
"""
