"""Who was followed and who was lost, and whether the data go on to their end."""
