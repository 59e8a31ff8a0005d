//! Telling others: tranches of linux-dmabuf feedback made from solver answers.
