//! Everything that decides where a buffer goes on this machine, in one place: for people, and for programs.
//!
//! [`explain`] looks at the displays and heaps, tries every heap with every display at the size asked about, and asks the
//! solver: for each display where the buffer would lie, and for each heap that it would not lie in, who is against it.
//! It needs no compositor and no root; what it could not see is in [`Explanation::unseen`], with what would help.
//! Renderers are asked what they import, which loads their drivers, unless the question is only to look.
//! Trying shows nothing and leaves nothing: it does what [`probe`](crate::links::probe) does.

mod gather;
mod model;
mod renderers;
mod videos;

pub use gather::{Question, explain};
pub use model::{
    Connector, Crtc, Display, Explanation, FormatLine, LinkCell, Plane, Pool, Tried, Unseen, Where,
};
pub use renderers::{Chosen, ParseRendererError, Renderer, RendererApi, RendererChoice};
pub use videos::{LeftOutLine, Video};
