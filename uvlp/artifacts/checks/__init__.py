"""Is an artifact what its name says, and is it complete?"""
