//! Each column of the runtime tables by what stands in it after real work, on each dialect.
