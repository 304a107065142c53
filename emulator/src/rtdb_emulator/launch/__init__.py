"""The program: its command line, firebase-tools with the emulator in the JAR's place, and the emulator as a process.

``bin/java`` is what firebase-tools takes for Java.
"""
