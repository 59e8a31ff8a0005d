//! Clipboard, primary selection and drag and drop between clients.

use smithay::{
    delegate_data_device, delegate_primary_selection,
    wayland::selection::{
        SelectionHandler,
        data_device::{ClientDndGrabHandler, DataDeviceHandler, DataDeviceState, ServerDndGrabHandler},
        primary_selection::{PrimarySelectionHandler, PrimarySelectionState},
    },
};

use crate::state::Heapwright;

impl SelectionHandler for Heapwright {
    type SelectionUserData = ();
}

impl DataDeviceHandler for Heapwright {
    fn data_device_state(&self) -> &DataDeviceState {
        &self.protocols.data_device
    }
}

impl PrimarySelectionHandler for Heapwright {
    fn primary_selection_state(&self) -> &PrimarySelectionState {
        &self.protocols.primary_selection
    }
}

impl ClientDndGrabHandler for Heapwright {}
impl ServerDndGrabHandler for Heapwright {}

delegate_data_device!(Heapwright);
delegate_primary_selection!(Heapwright);
