"""What becomes of jobs in every row of the catalogue of misbehaviour, as tables; and the Darkrooms that they run in."""
