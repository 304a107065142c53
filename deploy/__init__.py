"""Makes a project in the cloud what this repository needs, and says what is wrong with one.

``plan`` is data: steps with their commands and with what tells that they are done. ``apply`` runs those that are not;
``doctor`` looks, and changes nothing.
"""
