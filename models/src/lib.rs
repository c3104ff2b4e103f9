//! U-Net and risk models in libtorch, and the trainer program.
