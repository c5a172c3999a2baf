"""The test call to 933: placed, recorded, listened to, and filed as evidence of where 911 would send help."""
