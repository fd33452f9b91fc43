"""Adam: first-order refinement, for comparison and for losses without residuals."""
