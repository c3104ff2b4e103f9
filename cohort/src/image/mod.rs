//! Images and masks: folders, files, where voxels lie, what is organ, and how bright it is.

pub(crate) mod exif;
pub(crate) mod folders;
pub(crate) mod geometry;
pub(crate) mod index;
pub(crate) mod intensities;
pub(crate) mod luminance;
pub(crate) mod mask;
pub(crate) mod nifti_file;
pub(crate) mod nifti_header;
pub(crate) mod png_file;
pub(crate) mod scan;
