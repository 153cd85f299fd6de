//! Who may enter: the step, the line and its owner
