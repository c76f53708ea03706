"""The tests of Tollhouse: folders mirror the rooms, beside contracts, journeys, crash and upgrade."""
